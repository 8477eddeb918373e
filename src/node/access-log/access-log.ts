import { bytes } from '../../core/bytes.js'
import type { Runtime } from '../../core/runtime.js'
import type { OnReport } from '../../traffic/gateway/index.js'
import type { Log } from '../log.js'
import { lineWriter } from './line.js'
import { LineOutput } from './line-output.js'
import type { AccessLogSpec } from './spec.js'

/** Lost lines are told once in that time, in ms. */
const QUIET_MS = 10_000

/** Writes one line of JSON for each request when its answer is complete. */
export class AccessLog {
  /** Takes a request whose answer is complete. */
  readonly report: OnReport
  readonly #output: LineOutput

  private constructor(report: OnReport, output: LineOutput) {
    this.report = report
    this.#output = output
  }

  /**
   * Begins to write.
   *
   * @throws {@link BanyanError} `BANYAN_ACCESS_LOG` if the file cannot be written to
   */
  static async open(
    given: true | AccessLogSpec,
    { clock, random, telemetry }: Runtime,
    log: Log,
  ): Promise<AccessLog> {
    const spec = given === true ? {} : given
    const { output: to = 'stdout', sample = 1, buffer = '4MB' } = spec
    const dropped = telemetry.counter('banyan.access_log.dropped', {
      description: 'Lines of the access log that were lost, as the disk or pipe was slow or broken.',
      unit: '{line}',
    })
    let lost = 0
    let toldAt = -Infinity
    const onLost = (lines: number, error: Error | undefined): void => {
      dropped.add(lines)
      lost += lines
      if (clock.now() - toldAt < QUIET_MS) return
      toldAt = clock.now()
      const why = error ? error.message : 'the output takes them too slowly'
      log('warn', `access log: ${lost} line${lost === 1 ? '' : 's'} lost: ${why}`, { output: to })
      lost = 0
    }
    const output = await LineOutput.open({ to, clock, most: bytes(buffer, 'accessLog.buffer'), onLost })
    const lineOf = lineWriter(spec, clock)
    const report: OnReport =
      sample >= 1
        ? (each) => void output.write(lineOf(each))
        : (each) => {
            if (each.status >= 500 || random.next() < sample) output.write(lineOf(each))
          }
    return new AccessLog(report, output)
  }

  /** Opens its file anew, after it was moved away. */
  reopen(): void {
    this.#output.reopen()
  }

  /** Writes what waits, and ends. */
  close(): Promise<void> {
    return this.#output.close()
  }
}
