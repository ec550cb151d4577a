"""Keys: one for the same thing however it is asked for, and never one for two things."""

import random
from urllib.parse import unquote

import pytest

from cache.keys import genre_key, is_list, is_row, key_of, route_of, row_key
from db.fields import genre_name

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"

ENCODED = {
    "Drama": "Drama",
    "Police/Cop": "Police%2FCop",
    "Game Show / Competition": "Game%20Show%20%2F%20Competition",
    "Kids & Family": "Kids%20%26%20Family",
    "Children's": "Children's",
    "a+b=c": "a%2Bb%3Dc",
    "100%": "100%25",
    "a%2Fb": "a%252Fb",
    "what?": "what%3F",
    "#1": "%231",
    "~-_.!*()": "~-_.!*()",
    '";:@,$[]|\\^`{}<>': "%22%3B%3A%40%2C%24%5B%5D%7C%5C%5E%60%7B%7D%3C%3E",
    "Ämsel": "%C3%84msel",
    "🎬": "%F0%9F%8E%AC",
    "/": "%2F",
    "//x/": "%2F%2Fx%2F",
    ID: ID,
}
"""Names with what JavaScript's encodeURIComponent makes of them (node 20)."""


@pytest.mark.parametrize("genre", ENCODED)
def test_a_genre_is_encoded_as_browsers_do(genre: str) -> None:
    assert genre_key(genre) == f"/content/genre/{ENCODED[genre]}"


def test_a_genre_has_the_key_of_its_path_however_that_was_encoded() -> None:
    rng = random.Random(3)
    alphabet = "aZ09/%+ &?#=.;:@\\\"'<>[]{}|~-_!*()ÄΩ漢🎬\u200b\u202e\xa0"
    seen: dict[str, str] = {}
    for _ in range(5_000):
        genre = "".join(rng.choices(alphabet, k=rng.randint(1, 8)))
        if genre_name(genre) != genre:
            continue
        key = genre_key(genre)
        assert seen.setdefault(key, genre) == genre  # no two genres have one key
        assert key_of(f"/content/genre/{genre}") == key
        assert unquote(key) == f"/content/genre/{genre}"
        assert key.isascii()
        assert key.isprintable()
        assert " " not in key
        assert is_list(key)
        assert not is_row(key)


@pytest.mark.parametrize("genre", ["", ".", "..", "x" * 101, "a\x00", "a\n", "\x7f", "\ud83d"])
def test_what_no_genre_is_called_has_no_key(genre: str) -> None:
    assert key_of(f"/content/genre/{genre}") is None


@pytest.mark.parametrize("spelled", [ID, ID.upper(), ID[:18].upper() + ID[18:]])
def test_an_id_has_one_key_in_any_case(spelled: str) -> None:
    assert key_of(f"/content/{spelled}") == row_key(ID) == f"/content/{ID}"
    for quote in ("", '"', "'", "%22", "%27"):
        query = f"videoId={quote}{spelled}{quote}".encode()
        assert key_of("/content", query) == row_key(ID)


NOT_IDS = {
    "empty": "",
    "short": ID[:-1],
    "long": ID + "0",
    "a line end": ID + "\n",
    "a blank": " " + ID[1:],
    "in braces": "{" + ID + "}",
    "bare": ID.replace("-", ""),
    "hyphens elsewhere": ID[:7] + "-" + ID[7] + ID[9:],
    "not hexadecimal": "g" + ID[1:],
    "digits of another script": "\u0661" + ID[1:],
    "wide letters": "\uff41" + ID[1:],
    "a slash behind": ID + "/",
    "a slash before": "/" + ID,
    "the word genre": "genre",
}


@pytest.mark.parametrize("name", NOT_IDS)
def test_what_is_no_id_has_no_key(name: str) -> None:
    assert key_of(f"/content/{NOT_IDS[name]}") is None
    assert key_of("/content", f"videoId={NOT_IDS[name]}".encode()) is None


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"x=1",
        b"videoId",
        b"videoid=" + ID.encode(),
        b"videoId=" + ID.encode() + b"&x=1",
        b"x=1&videoId=" + ID.encode(),
        b"videoId=" + ID.encode() + b"&videoId=" + ID.encode(),
        b"videoId='" + ID.encode() + b'"',
        b"videoId='" + ID.encode(),
        b"videoId=" + ID.encode() + b"'",
        b"videoId=%22" + ID.encode() + b'"',
        b"videoId=''" + ID.encode() + b"''",
        b"videoId=%30" + ID[1:].encode(),
        b"videoId=+" + ID.encode(),
        b"videoId=\xff" + ID[1:].encode(),
    ],
)
def test_a_query_that_needs_a_second_look_is_left_to_the_handler(query: bytes) -> None:
    assert key_of("/content", query) is None


def test_a_query_behind_a_path_that_has_a_key_does_not_matter() -> None:
    assert key_of(f"/content/{ID}", b"videoId=" + ID[::-1].encode()) == row_key(ID)


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/home", "/uuids", "/content", "/content/", "/content/genre", "content/" + ID),
        *("/contents/" + ID, "/x/content/" + ID, "//content/" + ID, "/content//" + ID),
        "/Content/" + ID,
    ],
)
def test_other_paths_have_no_key(path: str) -> None:
    assert key_of(path) is None


def test_rows_and_lists_are_told_apart_by_their_keys() -> None:
    assert is_row(row_key(ID))
    assert not is_list(row_key(ID))
    assert route_of(row_key(ID)) == "/content/{id}"
    assert route_of(genre_key(ID)) == "/content/genre/{genre:path}"
    # of the length of a row's key, though none
    assert not is_row(genre_key("x" * 30))
    assert not is_row(row_key(ID).upper())
    assert not is_row(row_key(ID.upper()))
    assert not is_row(row_key(ID) + "?")
    assert not is_row(row_key(ID[:-1] + "\n"))


def test_the_keys_of_many_genres_are_made_once() -> None:
    """A home page draws its ten from all of them."""
    genres = [f"genre {number}" for number in range(10_000)]
    for genre in genres:
        genre_key(genre)
    made = genre_key.cache_info().misses
    for genre in genres:
        genre_key(genre)
    assert genre_key.cache_info().misses == made
