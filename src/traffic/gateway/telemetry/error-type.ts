import { BanyanError } from '../../../core/errors.js'

/** `error.type` of OpenTelemetry: the code of an error, which is one of few. */
export function errorType(error: unknown): string {
  if (error instanceof BanyanError) return error.code
  return error instanceof Error ? error.name : 'unknown'
}

/** What an error says, for operators. */
export function messageOf(error: unknown): string | undefined {
  return error instanceof Error ? error.message : undefined
}
