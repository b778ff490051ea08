"""The OTA server: campaigns that bring signed software into vehicles."""
