"""Times that sort and that nobody mistakes, in UTC like all of the server's."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
