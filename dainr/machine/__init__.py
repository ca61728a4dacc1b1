"""What a program asks of the machine: memory, threads, disk, checksums, devices."""
