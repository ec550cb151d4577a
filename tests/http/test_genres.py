"""``GET /content/genre/{genre}``, ``/home``: every genre that has rows is readable by its name."""

import unicodedata
from urllib.parse import quote

import httpx

from tests.each import each
from tests.http.conftest import StartsService
from tests.http.samples import data, draft, failure, genre_name, post, wrong_fields

NAMES = [
    "Police/Cop",
    "Game Show / Competition",
    "/leading",
    "trailing/",
    "a//b",
    "a/../b",
    "./a",
    "Sci-Fi & Fantasy",
    "a+b",
    "it's",
    '"quoted"',
    "what?",
    "100%",
    "100%25",
    "%2F",
    "%zz",
    "#1",
    "a;b=c",
    "a,b",
    "a|b",
    "back\\slash",
    "  blanks  ",
    "🎬",
    "Комедия",
    "e\u0301",
    "\u2028",
    "\ufeff",
    "...",
    "{genre}",
    "' OR ''='",
    "__proto__",
]


def path_of(genre: str) -> str:
    return f"/content/genre/{quote(genre, safe='')}"


@each("name", NAMES)
@each("at_end", [True, False])
def test_a_genre_is_readable_under_its_own_name(
    client: httpx.Client, name: str, at_end: bool
) -> None:
    genre = genre_name("") + name if at_end else genre_name(name)
    row = post(client, genres=[genre])
    composed = unicodedata.normalize("NFC", genre)
    assert row["genres"] == [composed]
    for spelled in (genre, composed, unicodedata.normalize("NFD", genre)):
        assert data(client.get(path_of(spelled))) == {composed: [row["id"]]}


def test_names_that_differ_in_form_are_one(client: httpx.Client) -> None:
    """A write by one spelling reaches what a read by the other put into a cache."""
    composed = genre_name("\u00c5ngstr\u00f6m")
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    first = post(client, genres=[composed, decomposed])
    assert first["genres"] == [composed]
    for spelled in (decomposed, composed, decomposed):
        assert data(client.get(path_of(spelled))) == {composed: [first["id"]]}
    second = post(client, genres=[decomposed])
    tags = set()
    for spelled in (decomposed, composed):
        answer = client.get(path_of(spelled))
        assert data(answer) == {composed: [second["id"], first["id"]]}
        tags.add(answer.headers["etag"])
    assert len(tags) == 1


@each("name", [" ", "\t", "\u00a0", "\u3000 \u2003"])
def test_a_genre_of_blanks_is_refused(client: httpx.Client, name: str) -> None:
    assert wrong_fields(client.post("/content", json=draft(genres=[name]))) == ["genres"]
    row = post(client)
    answer = client.patch(f"/content/{row['id']}", json={"genres": ["Drama", name]})
    assert wrong_fields(answer) == ["genres"]
    failure(client.get(path_of(name)), 404)


def test_the_longest_name_is_readable(client: httpx.Client) -> None:
    genre = genre_name("🎬" * 63)
    assert len(genre) == 100
    row = post(client, genres=[genre])
    assert data(client.get(path_of(genre))) == {genre: [row["id"]]}


def test_a_plus_is_a_plus(client: httpx.Client) -> None:
    tail = genre_name("")
    plus, blank = post(client, genres=[f"a+b{tail}"]), post(client, genres=[f"a b{tail}"])
    raw = f"/content/genre/a+b{tail.replace(' ', '%20')}"
    assert data(client.get(raw)) == {f"a+b{tail}": [plus["id"]]}
    assert data(client.get(path_of(f"a b{tail}"))) == {f"a b{tail}": [blank["id"]]}


def test_raw_ampersands_and_quotes_are_part_of_the_name(client: httpx.Client) -> None:
    genre = f"R&B'{genre_name('').strip()}"
    row = post(client, genres=[genre])
    assert data(client.get(f"/content/genre/{genre}")) == {genre: [row["id"]]}


@each(
    "raw",
    [
        "%00",
        "a%00b",
        "%FF",
        "%C3",
        "%ED%A0%80",
        "%0A",
        "a%0Ab",
        "%7F",
        "%C2%85",
        "%2E",
        "%2E%2E",
        "",
        "x" * 101,
        "x" * 4_000,
        "%F0%9F%8E%AC" * 101,
        "%",
        "%2",
        "%zz",
    ],
)
def test_nonsense_is_not_found(client: httpx.Client, raw: str) -> None:
    failure(client.get(f"/content/genre/{raw}"), 404)
    assert client.head(f"/content/genre/{raw}").status_code == 404


def test_a_line_end_behind_a_name_makes_it_another(client: httpx.Client) -> None:
    genre = genre_name()
    post(client, genres=[genre])
    for end in ("%0A", "%0D", "%00", "%0D%0A"):
        failure(client.get(path_of(genre) + end), 404)


def test_ten_kilobytes_of_name_are_refused(client: httpx.Client) -> None:
    failure(client.get("/content/genre/" + "x" * 10_000), 414)


def test_another_name_is_not_found(client: httpx.Client) -> None:
    genre = genre_name("Drama")
    post(client, genres=[genre])
    for other in (genre.lower(), genre[:-1], genre + " ", " " + genre, genre + "/"):
        failure(client.get(path_of(other)), 404, "Not Found")


def test_a_list_has_the_newest_thirty_newest_first(client: httpx.Client) -> None:
    genre = genre_name()
    ids = [post(client, genres=[genre, "Other"])["id"] for _ in range(32)]
    assert data(client.get(path_of(genre))) == {genre: ids[:1:-1]}


def test_an_update_moves_no_row_of_a_list(client: httpx.Client) -> None:
    genre = genre_name()
    ids = [post(client, genres=[genre])["id"] for _ in range(3)]
    data(client.patch(f"/content/{ids[0]}", json={"title": "New"}))
    assert data(client.get(path_of(genre))) == {genre: ids[::-1]}


def test_a_genre_without_rows_is_not_found_any_more(client: httpx.Client) -> None:
    genre = genre_name()
    row = post(client, genres=[genre])
    assert client.get(path_of(genre)).status_code == 200
    data(client.delete(f"/content/{row['id']}"))
    failure(client.get(path_of(genre)), 404)
    again = post(client, genres=[genre])
    assert data(client.get(path_of(genre))) == {genre: [again["id"]]}


def test_a_list_has_a_tag_that_changes_with_it(client: httpx.Client) -> None:
    genre = genre_name()
    post(client, genres=[genre])
    first, second = client.get(path_of(genre)), client.get(path_of(genre))
    assert first.headers["etag"] == second.headers["etag"]
    assert first.headers["etag"].startswith('"')
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["cache-status"].startswith("content; ")
    assert client.head(path_of(genre)).headers["etag"] == first.headers["etag"]
    post(client, genres=[genre])
    assert client.get(path_of(genre)).headers["etag"] != first.headers["etag"]


def test_home_has_ten_distinct_genres_and_each_is_readable(client: httpx.Client) -> None:
    names = ["a/b", "100%", "a+b", "R&B", "#1", "what?", "🎬", "it's", "x;y", "a b", "c", "d"]
    for name in names:
        post(client, genres=[genre_name(name)])
    drawn: set[str] = set()
    for _ in range(10):
        answer = client.get("/home")
        home = data(answer)
        assert list(home) == ["homePage"]
        assert [len(entry) for entry in home["homePage"]] == [1] * 10
        lists = {genre: ids for entry in home["homePage"] for genre, ids in entry.items()}
        assert len(lists) == 10
        for genre, ids in lists.items():
            assert 1 <= len(ids) <= 30
            assert data(client.get(path_of(genre))) == {genre: ids}
        drawn |= set(lists)
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers
    assert len(drawn) > 10  # at random: ten equal draws of twelve or more are one in 10^16


def test_home_has_fewer_when_there_are_fewer(start_service: StartsService) -> None:
    with start_service() as service:
        client = service.client
        assert data(client.get("/home")) == {"homePage": []}
        first = client.post("/content", json=draft(genres=["A", "B"])).json()["data"]["id"]
        client.post("/content", json=draft(genres=["C"]))
        home = data(client.get("/home"))["homePage"]
        assert sorted(genre for entry in home for genre in entry) == ["A", "B", "C"]
        data(client.delete(f"/content/{first}"))
        assert [list(entry) for entry in data(client.get("/home"))["homePage"]] == [["C"]]
