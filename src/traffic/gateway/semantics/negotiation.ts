const QUALITY = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/

/** The codings an Accept-Encoding field names, in lower case, with their weights. Members that are not valid are passed over. */
function weights(accept: string): Map<string, number> {
  const found = new Map<string, number>()
  for (const member of accept.split(',')) {
    const [coding = '', ...parameters] = member.split(';').map((part) => part.trim().toLowerCase())
    if (!/^(?:\*|[!#$%&'+\-.^_`|~\w]+)$/.test(coding) || parameters.length > 1) continue
    const [parameter = 'q=1'] = parameters
    const quality = /^q[ \t]*=[ \t]*(.*)$/.exec(parameter)?.[1]
    if (quality === undefined || !QUALITY.test(quality)) continue
    const name = coding === 'x-gzip' ? 'gzip' : coding
    found.set(name, Math.max(found.get(name) ?? 0, Number(quality)))
  }
  return found
}

/**
 * Chooses the content coding of an answer (RFC 9110 12.5.3): the one that the client weighs most, of equal ones the
 * first offered. A client that prefers no coding, or does not say what it takes, gets none.
 *
 * @param accept - the request's Accept-Encoding
 * @param offered - what can be had, best first
 * @returns `undefined` for the content as it is
 */
export function chooseEncoding<Encoding extends string>(
  accept: string | undefined,
  offered: readonly Encoding[],
): Encoding | undefined {
  if (accept === undefined) return undefined
  const given = weights(accept)
  const others = given.get('*') ?? 0
  let best: Encoding | undefined
  // Without a word on it, `identity` is acceptable, but behind everything that was asked for.
  let most = given.get('identity') ?? 0
  for (const encoding of offered) {
    const weight = given.get(encoding) ?? others
    if (weight > most || (weight > 0 && weight === most && best === undefined)) {
      best = encoding
      most = weight
    }
  }
  return best
}

/** Adds names to the Vary field of an answer, if they are not there. */
export function varyWith(vary: string | undefined, name: string): string {
  if (vary === undefined || vary.trim() === '') return name
  const names = vary.split(',').map((each) => each.trim().toLowerCase())
  return names.includes('*') || names.includes(name.toLowerCase()) ? vary : `${vary}, ${name}`
}
