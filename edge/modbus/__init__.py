"""Modbus meters: TCP, RTU on a serial port, RTU through TCP; read only, by functions 1 to 4."""
