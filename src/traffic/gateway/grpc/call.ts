import type { Clock } from '../../../core/clock.js'
import { withoutStack } from '../../../core/errors.js'
import { CallerDeadlineError, TimeoutError } from '../../errors.js'
import type { RequestHead } from '../../http/message.js'
import { isGivenUp, type Call } from '../../policy.js'
import type { UpstreamAnswer } from '../answer.js'
import type { RequestReport } from '../telemetry/report.js'
import { withStatus, type Ending } from './answer.js'
import { GRPC_TIMEOUT_FIELD, parseGrpcTimeout } from './deadline.js'
import { failureOf, Grpc, httpStatusOf } from './status.js'

/** ms that the caller of a request of gRPC waits. */
export function grpcTimeoutOf({ fields }: RequestHead): number {
  return parseGrpcTimeout(fields.get(GRPC_TIMEOUT_FIELD))
}

/** Begins a call of gRPC: it ends at its caller's deadline, however far it has come, and may be silent in between. */
export function beginGrpc(report: RequestReport, call: Call, clock: Clock): void {
  report.exchange.waitForClient()
  const { deadline } = call
  if (deadline === Infinity) return
  const waited = deadline - report.startedAt
  report.deadline = clock.schedule(deadline, () =>
    call.cancel(withoutStack(() => new TimeoutError(waited, 'the deadline of the caller has passed'))),
  )
}

/** The answer to a call of gRPC as its caller gets it: it ends with a status in any case, and that is counted. */
export function endGrpc(
  report: RequestReport,
  call: Call,
  answer: UpstreamAnswer,
  clock: Clock,
): UpstreamAnswer {
  const count = (code: number): void => {
    report.error ??= failureOf(code)
    report.route!.record(httpStatusOf(code), clock.now(), report.headAt - report.startedAt)
  }
  if (answer.grpcCode !== undefined) {
    count(answer.grpcCode)
    return answer
  }
  const broken = (): Ending => endingOf(call)
  return answer.withBody(withStatus(answer.open(), broken, count))
}

/** How a call ends whose answer breaks off. */
function endingOf(call: Call): Ending {
  if (isGivenUp(call) && !(call.reason instanceof CallerDeadlineError))
    return { code: Grpc.Cancelled, message: 'The caller has gone.' }
  if (call.cancelled)
    return { code: Grpc.DeadlineExceeded, message: 'The service did not end its answer in time.' }
  return { code: Grpc.Unavailable, message: 'The service broke off before its answer was complete.' }
}
