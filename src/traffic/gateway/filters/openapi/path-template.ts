/** One segment: text and names in turn, beginning and ending with text, which may be empty. */
interface Segment {
  readonly texts: readonly string[]
  readonly names: readonly string[]
}

/** A path of an OpenAPI document, such as `/orders/{id}` or `/files/{name}.{kind}`. */
export class PathTemplate {
  readonly text: string
  readonly names: readonly string[]
  /** The same for templates that match the same paths. */
  readonly shape: string
  readonly #segments: readonly Segment[]

  constructor(text: string) {
    this.text = text
    this.#segments = text.slice(1).split('/').map(parseSegment)
    this.names = this.#segments.flatMap(({ names }) => names)
    this.shape = text.replace(/\{[^{}]*\}/g, '{}')
  }

  /**
   * @param segments - of a path, percent-encoded
   * @returns the parts by their names, still encoded; `undefined` if the path is another
   */
  match(segments: readonly string[]): Map<string, string> | undefined {
    if (segments.length !== this.#segments.length) return undefined
    const values = new Map<string, string>()
    for (const [index, segment] of this.#segments.entries()) {
      if (!matchSegment(segment, segments[index]!, values)) return undefined
    }
    return values
  }

  /** Text goes before what has names, from the left (OpenAPI 3.1, 4.8.8.2). */
  compare(other: PathTemplate): number {
    for (const [index, { names }] of this.#segments.entries()) {
      const theirs = other.#segments[index]
      if (!theirs) return 1
      const byText = weightOf({ texts: this.#segments[index]!.texts, names }) - weightOf(theirs)
      if (byText !== 0) return byText
    }
    return this.#segments.length - other.#segments.length
  }
}

function weightOf({ texts, names }: Segment): number {
  if (names.length === 0) return 0
  return texts.some((text) => text !== '') ? 1 : 2
}

function parseSegment(text: string): Segment {
  const parts = text.split(/\{([^{}]*)\}/)
  return {
    texts: parts.filter((_, index) => index % 2 === 0).map(decode),
    names: parts.filter((_, index) => index % 2 === 1),
  }
}

function matchSegment({ texts, names }: Segment, given: string, values: Map<string, string>): boolean {
  if (names.length === 0) return texts[0] === decode(given)
  const first = texts[0]!
  if (!given.startsWith(first)) return false
  let from = first.length
  for (const [index, name] of names.entries()) {
    const text = texts[index + 1]!
    const last = index === names.length - 1
    // A part takes at least one character, and as few as let the rest fit.
    const end = last ? given.length - text.length : text === '' ? from + 1 : given.indexOf(text, from + 1)
    if (end <= from || (last && !given.endsWith(text))) return false
    values.set(name, given.slice(from, end))
    from = end + text.length
  }
  return true
}

/** Decodes once, for comparison only. */
function decode(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
