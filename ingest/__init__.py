"""The write side: broker to store to energy to verdict."""
