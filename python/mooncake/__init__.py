"""The interfaces of Mooncake that Moonrail has: `mooncake.engine`."""
