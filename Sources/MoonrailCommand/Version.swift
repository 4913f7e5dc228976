/// What `moonrail --version` says.
let moonrailVersion = "0.1.0-dev"
