"""The project's Celery with two tasks that leave a trace: a tick, and one that is slow to finish."""

import os
import time
from pathlib import Path

from otaserver.celery import app

FOLDER = Path(os.environ.get("OTA_VAR", "."))


@app.task(ignore_result=True)
def tick():
    with (FOLDER / "ticks").open("a") as file:
        file.write("tick\n")


@app.task(ignore_result=True)
def slow():
    with (FOLDER / "begun").open("a") as file:
        file.write("begun\n")
    time.sleep(600)


app.conf.beat_schedule = {"tick": {"task": tick.name, "schedule": 0.2, "options": {"expires": 5}}}
