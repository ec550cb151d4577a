"""What invented titles, people and stories are put together from (``db/catalog/generator.py``).

Changing a word changes the generated catalogue: rows that were loaded before keep their ids.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


GENRES = _lines(
    """Dramas
    Comedies
    International Movies
    Action & Adventure
    Documentaries
    Thrillers
    Romantic Movies
    Children & Family
    Crime
    Horror Movies
    Independent Movies
    Stand-Up Comedy
    Docuseries
    Reality
    Sci-Fi & Fantasy
    Kids
    Mysteries
    Anime
    Music & Musicals
    British
    Sports
    Korean
    Classics
    LGBTQ
    Spanish-Language
    Historical
    War
    Nature & Science
    Teen
    Cult
    Police/Cop
    Faith & Spirituality
    Food & Travel
    Talk Shows
    Westerns
    Silent Films
    Short Films
    Biographies
    Martial Arts
    Disaster"""
)
RATINGS = _words("TV-MA TV-14 PG-13 R TV-PG PG TV-Y7 TV-Y TV-G NR G NC-17")
REGIONS = _lines(
    """United States
    India
    United Kingdom
    Canada
    France
    Japan
    Spain
    South Korea
    Germany
    Mexico
    Australia
    Egypt
    Türkiye
    Nigeria
    Brazil
    Argentina
    Italy
    Sweden
    Poland
    South Africa"""
)
FIRST_NAMES = _words(
    """Ada Amir Anaïs Bela Carmen Chidi Dana Elif Emil Farid Fatima Grace Hana Hugo Ines Ivan Jonas
    Jun Kofi Lars Leila Lucía Mara Mateo Mei Milan Nadia Noor Olga Omar Paolo Priya Ravi Rosa Sana
    Sofia Tariq Tomás Uma Viktor Wanda Yara Yusuf Zoë"""
)
LAST_NAMES = _words(
    """Abe Acosta Adeyemi Bauer Berg Castillo Chen Costa Dahl Desai Duarte Eklund Farouk Fischer
    García Greco Haddad Hansen Ito Ivanova Jansen Kaya Khan Kim Kowalski Larsen Lopez Mbeki Meyer
    Moreau Nakamura Novak Okafor Olsen Park Patel Quinn Rahman Reyes Rossi Sato Silva Singh Suzuki
    Tanaka Torres Usman Vargas Weber Yilmaz Zhang"""
)
ADJECTIVES = _words(
    """Broken Silent Last Crimson Hidden Endless Golden Lost Midnight Quiet Burning Distant Frozen
    Secret Wild Hollow Paper Second Electric Forgotten Perfect Stolen Northern Invisible"""
)
NOUNS = _words(
    """River Summer Kingdom Letter Promise Shadow Garden Island Harbor Detective Orchestra Border
    Winter Daughter Train Lighthouse Empire Stranger Kitchen Mountain Signal Wedding Heist Mirror
    Verdict Ocean Circus Machine Voyage Neighbor"""
)
PLACES = _words(
    """Berlin Lagos Kyoto Lisbon Mumbai Oslo Cairo Havana Seoul Prague Naples Dakar Quito Vienna
    Bogotá Istanbul Manila Montréal Glasgow Tunis"""
)
HEROES = _lines(
    """a retired detective
    a young chef
    an exiled princess
    a small-town teacher
    an estranged sister
    a struggling musician
    a reluctant spy
    an ambitious lawyer
    a grieving father
    an amateur thief
    a brilliant surgeon
    a childhood friend"""
)
DEEDS = _lines(
    """uncovers a secret that could change everything
    returns home to face the past
    gets one last chance at love
    must choose between family and freedom
    is drawn into a dangerous game
    takes on a case that nobody else will touch
    races to stop a disaster
    opens an old wound and a new restaurant
    finds an unlikely ally
    fights to clear a good name"""
)
TURNS = _lines(
    """But nothing is what it seems.
    Time is running out.
    Not everyone wants the truth to come out.
    Old rivals have other plans.
    Along the way, loyalties are tested and hearts are broken.
    The price of silence turns out to be higher than anyone thought.
    An unexpected visitor changes the rules.
    Nobody is ready for what comes next.
    Based on a true story.
    What begins as a favor becomes an obsession.
    A storm is coming, and the whole town knows it.
    Laughter is the only way out."""
)
