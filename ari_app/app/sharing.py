"""Makes what shares the history, and people's languages, with the other machines of a cluster."""

from __future__ import annotations

from functools import partial

from ari_app.app.cluster import Cluster
from ari_app.app.storage import Storage
from ari_app.cluster.erasures import KEPT_S, Erasures
from ari_app.cluster.shared_history import SharedHistory
from ari_app.cluster.shared_languages import PURPOSE as LANGUAGES
from ari_app.cluster.shared_languages import EngineLanguages
from ari_app.cluster.shared_settings import Cipher
from ari_app.cluster.sharing import Sharing
from ari_app.lines.retention import period_s
from ari_app.store.shared_calls import SharedCallRepository
from ari_app.tasks import GuardedTasks


def make_sharing(cluster: Cluster, storage: Storage) -> Sharing | None:
    """None where this is the only machine."""
    if (its := cluster.control) is None:
        return None
    from ari_app.cluster.engine_stream import NatsStream  # of an optional package

    repository = SharedCallRepository(storage.store)
    kept_s = partial(period_s, storage.installation, "history_days")
    calls = NatsStream(its.engine, "astergram-calls", kept_s, one_each=True)
    orders = NatsStream(its.engine, "astergram-erasures", lambda: KEPT_S, one_each=False)
    return Sharing(SharedHistory(calls, repository, its.machine, kept_s), Erasures(orders, repository, its.machine))


def share_languages(cluster: Cluster, storage: Storage, tasks: GuardedTasks) -> None:
    """Have all machines know what one of them learns, from now on; without a secret each knows its own."""
    if (its := cluster.control) is None or not cluster.secret:
        return
    kept_s = partial(period_s, storage.installation, "languages_days")
    bucket = its.engine.bucket("astergram-languages", kept_s)
    shared = EngineLanguages(bucket, Cipher(cluster.secret, LANGUAGES), kept_s)
    storage.languages.share(shared)
    for share in (shared.send, partial(shared.watch, storage.languages)):
        tasks.supervise(share, "languages of the cluster")
