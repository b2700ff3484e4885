wifi_password = "hunter2
