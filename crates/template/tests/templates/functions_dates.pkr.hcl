locals {

  timestamp  = timestamp()
  formatdate = [
    formatdate("YYYY-MM-DD'T'hh:mm:ssZ", timestamp()),
    formatdate("EEEE, D MMM YY H:mm AA ZZZ", timestamp()),
    formatdate("hh 'o''clock' ZZZZZ", "2024-02-29T23:15:00+02:00"),
  ]
  timeadd  = [timeadd("2024-02-28T23:00:00Z", "1h30m"), timeadd("2024-01-01T00:00:00+01:00", "-1s")]
  isotime  = legacy_isotime("2006-01-02 15:04:05")
  default  = legacy_isotime()
  strftime = legacy_strftime("%Y%m%d-%H%M%S")
}
