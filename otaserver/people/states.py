from django.db.models import TextChoices


class SignInStep(TextChoices):
    PASSWORD = "password"
    SECOND_FACTOR = "second_factor"
    SINGLE_SIGN_ON = "single_sign_on"
