// Counts by hour of the clock as bars, and those that are not zero in words.

import { integer } from "../format";

const HOUR_MS = 3_600_000;
const HEIGHT = 100;
/** Of the width of an hour. */
const BAR = 0.8;

interface HoursProps {
  title: string;
  /** Oldest first; the last one is of the hour that goes on. */
  counts: readonly number[];
  now: number;
}

export function Hours({ title, counts, now }: HoursProps) {
  const top = Math.max(1, ...counts);
  const last = Math.floor(now / HOUR_MS);
  const hours = counts.map((count, index) => ({
    count,
    name: hourName((last - (counts.length - 1 - index)) * HOUR_MS),
  }));
  const told = hours.filter(({ count }) => count > 0).reverse();
  return (
    <figure class="chart hours">
      <figcaption>
        <span>{title}</span>
        <span class="chart-now">
          <b>{integer(counts.reduce((all, one) => all + one, 0))}</b>
          <small> in {counts.length} h</small>
        </span>
      </figcaption>
      <div class="chart-plot">
        <svg
          viewBox={`0 0 ${counts.length} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`${title}, the last ${counts.length} hours. The figures follow.`}
        >
          {hours.map(({ count, name }, index) => (
            <rect
              key={name}
              x={index + (1 - BAR) / 2}
              y={HEIGHT - (count / top) * HEIGHT}
              width={BAR}
              height={(count / top) * HEIGHT}
            >
              <title>{`${name}: ${integer(count)}`}</title>
            </rect>
          ))}
        </svg>
        <span class="chart-top">{integer(top)}</span>
      </div>
      <p class="soft small-text">
        {told.length === 0
          ? "None"
          : told.map(({ count, name }) => `${name}: ${integer(count)}`).join(", ")}
      </p>
    </figure>
  );
}

/** The hour that begins then, on the clock of whoever looks. */
function hourName(at: number): string {
  return new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
