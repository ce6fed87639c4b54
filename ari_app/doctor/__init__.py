"""The doctor, who examines an installation, and what to copy to connect it."""

from ari_app.doctor.doctor import Doctor
from ari_app.doctor.findings import TITLES, Finding, Grade, Topic
from ari_app.doctor.report import as_json, print_report
from ari_app.doctor.surroundings import AmiLogin, LineNeeds, Surroundings

__all__ = [
    "TITLES",
    "AmiLogin",
    "Doctor",
    "Finding",
    "Grade",
    "LineNeeds",
    "Surroundings",
    "Topic",
    "as_json",
    "print_report",
]
