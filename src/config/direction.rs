//! Direction of a movement, by its words in a configuration file.

use crate::scene::Direction;

/// Where something moves to.
pub(super) const DIRECTIONS: [(&str, Direction); 4] = [
    ("left", Direction::Left),
    ("right", Direction::Right),
    ("up", Direction::Up),
    ("down", Direction::Down),
];

/// What a direction is called.
pub(super) fn direction_word(direction: Direction) -> Option<&'static str> {
    DIRECTIONS.iter().find(|(_, known)| *known == direction).map(|(word, _)| *word)
}
