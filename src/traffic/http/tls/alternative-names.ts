/**
 * Takes the subject alternative names of a certificate apart, as Node prints them: `DNS:a, URI:b`, values with special
 * characters in quotes as JSON.
 *
 * @returns with the kinds that OpenSSL's configuration uses: `DNS:`, `IP:`, `URI:`, `email:`
 */
export function alternativeNames(text: string | undefined): string[] {
  const names: string[] = []
  for (const [, kind, value] of (text ?? '').matchAll(/([^:,]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g)) {
    names.push(
      `${kind === 'IP Address' ? 'IP' : kind!}:${value!.startsWith('"') ? unquoted(value!) : value!}`,
    )
  }
  return names
}

function unquoted(value: string): string {
  try {
    return JSON.parse(value) as string
  } catch {
    return value
  }
}
