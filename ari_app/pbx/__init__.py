"""What a PBX's dialplan and programs are told of lines and calls, and may ask for: AMI events and FastAGI."""
