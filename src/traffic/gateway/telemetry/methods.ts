/** The methods of RFC 9110 and 5789, and QUERY: whatever else a client invents is counted as one. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']

/** How OpenTelemetry calls every other method. */
const OTHER = '_OTHER'

const INDEXES = new Map(METHODS.map((method, index) => [method, index]))

/** How many different indexes there are. */
export const METHOD_COUNT = METHODS.length + 1

/** A number below {@link METHOD_COUNT}, the same for every method that is not known. */
export function methodIndex(method: string): number {
  return INDEXES.get(method) ?? METHODS.length
}

/** The method of an index. */
export function methodAt(index: number): string {
  return METHODS[index] ?? OTHER
}
