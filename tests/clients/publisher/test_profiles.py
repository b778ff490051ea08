"""What `ota login` remembers, and what it never tells another server."""

import pytest

from clients.publisher.errors import InputError
from clients.publisher.profiles import Profile, Profiles

STORED = Profile("https://ota.example", "ota_secret")


@pytest.fixture
def profiles(tmp_path):
    made = Profiles(tmp_path / "ota")
    made.store(STORED)
    return made


def test_profiles_are_their_owners_alone(profiles):
    assert profiles.path.stat().st_mode & 0o777 == 0o600
    assert profiles.folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in profiles.folder.iterdir()] == ["profiles.json"]
    assert "ota_secret" not in repr(profiles.all())


def test_a_file_that_others_may_read_is_refused(profiles):
    profiles.path.chmod(0o644)

    with pytest.raises(InputError, match="others may read it"):
        profiles.complete("", "")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"default": {"url": "x"}}', '{"default": 1}'])
def test_a_file_that_is_none_of_ours_is_refused(profiles, text):
    profiles.path.write_text(text)

    with pytest.raises(InputError, match="cannot be read"):
        profiles.all()


@pytest.mark.parametrize(
    ("url", "token", "expected"),
    [
        ("", "", STORED),
        ("https://ota.example/", "", Profile("https://ota.example/", "ota_secret")),
        ("", "ota_other", Profile("https://ota.example", "ota_other")),
        ("https://evil.example", "ota_other", Profile("https://evil.example", "ota_other")),
    ],
)
def test_what_is_given_counts_and_the_profile_fills_in_the_rest(profiles, url, token, expected):
    assert profiles.complete(url, token) == expected


def test_a_token_is_not_sent_to_another_server(profiles):
    with pytest.raises(InputError) as refused:
        profiles.complete("https://evil.example", "")

    assert refused.value.code == "input.token_of_another_server"
    assert "ota_secret" not in refused.value.message


@pytest.mark.parametrize(
    ("url", "token", "missing"),
    [("", "", "OTA_URL and OTA_TOKEN"), ("https://x", "", "OTA_TOKEN"), ("", "t", "OTA_URL")],
)
def test_without_a_profile_it_says_what_is_missing(tmp_path, url, token, missing):
    with pytest.raises(InputError, match=f"set {missing}."):
        Profiles(tmp_path).complete(url, token)


def test_several_profiles_stand_beside_each_other(profiles):
    second = Profiles(profiles.folder, "second")
    second.store(Profile("https://second.example", "ota_second"))

    assert second.complete("", "").token == "ota_second"
    assert (second.remove(), second.remove()) == (True, False)
    assert profiles.all() == {"default": STORED}
