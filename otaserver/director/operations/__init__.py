from otaserver.director.operations.directions import direct

__all__ = ["direct"]
