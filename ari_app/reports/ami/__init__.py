"""What programs at Asterisk's manager interface (AMI) are told of calls and lines, and what they may ask for."""
