"""What comes before the console, and the pages about people."""

from django.urls import path

from otaserver.console.people.joining import JoinPage
from otaserver.console.people.members import MembersPage, TokensPage
from otaserver.console.people.profile import EnrolmentPage, ProfilePage
from otaserver.console.people.sign_in import SecondFactorView, SignInView
from otaserver.console.people.sign_on import SignOnCallback, SignOnView, back_channel, sign_out

app_name = "people"

urlpatterns = [
    path("login/", SignInView.as_view(), name="sign-in"),
    path("login/second-factor/", SecondFactorView.as_view(), name="second-factor"),
    path("login/sign-on/", SignOnView.as_view(), name="sign-on"),
    path("login/sign-on/callback/", SignOnCallback.as_view(), name="sign-on-callback"),
    path("login/sign-on/logout/", back_channel, name="back-channel-logout"),
    # Before the site's own, which knows of no issuer.
    path("logout/", sign_out, name="sign-out"),
    path("invitations/<str:secret>", JoinPage.as_view(), name="invitation"),
    path("profile/", ProfilePage.as_view(), name="profile"),
    path("profile/second-factor/", EnrolmentPage.as_view(), name="enrolment"),
    path("members/", MembersPage.as_view(), name="members"),
    path("tokens/", TokensPage.as_view(), name="tokens"),
]
