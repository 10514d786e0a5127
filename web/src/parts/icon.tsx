// Pictures of 20 by 20, drawn with the colour of the text around them.

const PATHS = {
  programme: "M3 4.5h14v9H3zM7 16.500h6",
  streams:
    "M10 10h.01M6.5 6.500a5 5 0 0 0 0 7M13.5 6.500a5 5 0 0 1 0 7M4 4a8.5 8.5 0 0 0 0 12M16 4a8.5 8.5 0 0 1 0 12",
  outputs: "M4 10h10M10.5 6l4 4-4 4M17 4v12",
  relays: "M4 7h11M12 4l3 3-3 3M16 13H5M8 10l-3 3 3 3",
  recordings: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14M10 7.500a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5",
  assets: "M3 4h14v12H3zM3 13l4-4 4 4 2.5-2.500L17 14M13 7.500h.01",
  keys: "M12.5 11.500a4 4 0 1 0-3-3L3 15v2h3v-2h2v-2h1.500zM13.5 6.500h.01",
  events: "M4 5h12M4 10h12M4 15h7",
  node: "M4 4h12v5H4zM4 11h12v5H4zM7 6.500h.01M7 13.500h.01",
  sun: "M10 6.500a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M10 2v1.500M10 16.500V18M2 10h1.500M16.5 10H18M4.3 4.300l1.1 1.100M14.6 14.600l1.1 1.100M4.3 15.700l1.1-1.100M14.6 5.400l1.1-1.1",
  moon: "M16.5 11.500A6.8 6.8 0 0 1 8.5 3.500a6.8 6.8 0 1 0 8 8z",
  auto: "M10 3a7 7 0 1 0 0 14zM10 3a7 7 0 0 1 0 14",
  exit: "M8 4H4v12h4M9 10h8M14 7l3 3-3 3",
  play: "M6 4l10 6-10 6z",
  stop: "M5.5 5.500h9v9h-9z",
  audio: "M4 8v4h2.500L10 15V5L6.5 8zM13 7.500a3.5 3.5 0 0 1 0 5M15 5.500a6.5 6.5 0 0 1 0 9",
  silent: "M4 8v4h2.500L10 15V5L6.5 8zM13.5 8l4 4M17.5 8l-4 4",
  full: "M4 8V4h4M12 4h4v4M16 12v4h-4M8 16H4v-4",
  plus: "M10 4v12M4 10h12",
  copy: "M7 7h9v9H7zM13 7V4H4v9h3",
  check: "M4 10.500l4 4 8-9",
  close: "M5 5l10 10M15 5L5 15",
  trash: "M4 6h12M8 6V4h4v2M6 6l.7 10h6.600L14 6",
  turn: "M15.5 8A6 6 0 1 0 16 10M16 4v4h-4",
  ban: "M10 3.500a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M5.5 5.500l9 9",
  warn: "M10 3l7.5 13.500h-15zM10 8.500v3.500M10 14.300h.01",
  people:
    "M7.5 9.500a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.400M2.5 16c0-3 2-4.5 5-4.500s5 1.5 5 4.500M13 4.500a2.5 2.5 0 0 1 0 4.800M14.5 12c2 .5 3 1.8 3 4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
