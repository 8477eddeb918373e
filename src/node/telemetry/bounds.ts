/** Seconds: the OpenTelemetry advice for HTTP durations, with two finer ones and two for slow work. */
const SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60,
]

/** Bytes of messages, each four times the one before. */
const BYTES = [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864]

/** Whatever else is counted. */
const COUNTS = [0, 1, 2, 3, 5, 10, 25, 50, 100, 250, 500, 1_000]

/** Upper bounds of a histogram's buckets where its instrument does not say. */
export function defaultBounds(unit: string | undefined): readonly number[] {
  return unit === 's' ? SECONDS : unit === 'By' ? BYTES : COUNTS
}
