"""DL/T 645-2007: frames (`frame`), data identifiers (`items`), lines (`line`), meters (`meter`)."""
