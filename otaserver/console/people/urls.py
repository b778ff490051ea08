"""What comes before the console, and the pages about people."""

from django.urls import path

from otaserver.console.people.joining import JoinPage
from otaserver.console.people.members import MembersPage, TokensPage
from otaserver.console.people.profile import EnrolmentPage, ProfilePage
from otaserver.console.people.sign_in import SecondFactorView, SignInView

app_name = "people"

urlpatterns = [
    path("login/", SignInView.as_view(), name="sign-in"),
    path("login/second-factor/", SecondFactorView.as_view(), name="second-factor"),
    path("invitations/<str:secret>", JoinPage.as_view(), name="invitation"),
    path("profile/", ProfilePage.as_view(), name="profile"),
    path("profile/second-factor/", EnrolmentPage.as_view(), name="enrolment"),
    path("members/", MembersPage.as_view(), name="members"),
    path("tokens/", TokensPage.as_view(), name="tokens"),
]
