/** A small chart of one value over the last two minutes. */
import UPlot from "uplot";

const windowSeconds = 120;

/** Steps of the axis: of a count 1, 2, 5, 10, …; of bytes powers of two. */
const steps = {
  count: Array.from({ length: 40 }, (_, n) => [1, 2, 5][n % 3] * 10 ** Math.floor(n / 3)),
  bytes: Array.from({ length: 40 }, (_, n) => 2 ** n),
} as const;

export class Chart {
  readonly #place: HTMLElement;
  readonly #plot: UPlot;
  readonly #times: number[] = [];
  readonly #values: number[] = [];

  constructor(place: HTMLElement, unit: keyof typeof steps, text: (value: number) => string) {
    this.#place = place;
    const color = (name: string) => () => getComputedStyle(place).getPropertyValue(name).trim();
    const axis = { stroke: color("--faint"), font: "11px system-ui, sans-serif", ticks: { show: false } };
    this.#plot = new UPlot(
      {
        width: 300,
        height: 84,
        legend: { show: false },
        cursor: { show: false },
        padding: [6, 2, 8, 0],
        scales: {
          x: { time: false, range: (_, __, end) => [end - windowSeconds, end] },
          y: { range: (_, __, most) => [0, Math.max(most * 1.15, 1)] },
        },
        axes: [
          { ...axis, show: false },
          {
            ...axis,
            size: 52,
            incrs: steps[unit],
            space: 26,
            grid: { stroke: color("--line"), width: 1 },
            values: (_, all) => all.map(text),
          },
        ],
        series: [
          {},
          { stroke: color("--accent"), fill: () => `${color("--accent")()}22`, width: 1.5, points: { show: false } },
        ],
      },
      [[], []],
      place,
    );
    new ResizeObserver(() => this.#fit()).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  add(seconds: number, value: number): void {
    this.#times.push(seconds);
    this.#values.push(value);
    while (this.#times[0] < seconds - windowSeconds - 5) {
      this.#times.shift();
      this.#values.shift();
    }
    this.#plot.setData([this.#times, this.#values]);
  }

  clear(): void {
    this.#times.length = 0;
    this.#values.length = 0;
    this.#plot.setData([[], []]);
  }

  /** In the colours that now hold. */
  redraw(): void {
    this.#plot.redraw(false, true);
  }

  #fit(): void {
    const { clientWidth: width, clientHeight: height } = this.#place;
    if (width > 0 && height > 0) this.#plot.setSize({ width, height });
  }
}
