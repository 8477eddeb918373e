/** The field in which gRPC says how long the caller still waits. */
export const GRPC_TIMEOUT_FIELD = 'grpc-timeout'

/** The field in which a repeated call says how many tries there were before. */
export const GRPC_ATTEMPTS_FIELD = 'grpc-previous-rpc-attempts'

/** ms in each unit. */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/**
 * Reads a `grpc-timeout`: up to eight digits and a unit.
 *
 * @returns ms; `Infinity` for what is no timeout
 */
export function parseGrpcTimeout(text: string | undefined): number {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text ?? '')
  return match ? Number(match[1]) * UNITS[match[2]!]! : Infinity
}

/**
 * Writes a `grpc-timeout`, in the smallest unit that eight digits hold, never longer than what is left.
 *
 * @param ms - finite
 */
export function formatGrpcTimeout(ms: number): string {
  for (const unit of ['u', 'm', 'S', 'M', 'H']) {
    const count = Math.max(1, Math.floor(ms / UNITS[unit]!))
    if (count < 1e8) return `${count}${unit}`
  }
  return '99999999H'
}
