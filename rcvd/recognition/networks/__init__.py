"""One architecture a file; rcvd.recognition.registry has the table of them."""
