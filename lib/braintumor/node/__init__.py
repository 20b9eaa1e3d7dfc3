"""The inference node beside a PACS: instances come in, every study's results go back once; nothing acknowledged is lost."""
