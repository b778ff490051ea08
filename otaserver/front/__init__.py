"""The poll front: answers before Django, in the same process, what nothing has changed since Django last answered it.

Polls are the load: nearly all of them bring "nothing new", and Django's own handling of a request costs ten times what
this does. It decides nothing. Whatever it gives was given by Django to the very same request (`requests`), marked by
the view as good to be given again until a moment (`vehicle_api.idle`), and nothing was told to have changed since
(`changes`); everything else goes on to Django, and so does all of it while the changes cannot be read.
"""

from otaserver.front.application import Front

__all__ = ["Front"]
