hostnam = "hunter2"
