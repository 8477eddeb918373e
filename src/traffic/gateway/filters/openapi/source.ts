import { isMap, isScalar, isSeq, LineCounter, parseDocument, type Node } from 'yaml'

/** Where in a document something stands, from the top. */
export type Pointer = readonly (string | number)[]

/** Something wrong in a document. */
export interface DocumentProblem {
  pointer: Pointer
  message: string
  /** From 1. */
  line: number
  column: number
}

/** Aliases that a document may expand to; more is an attack. */
const MOST_ALIASES = 100

/** The text of a document: its value, and where everything in it stands. YAML or JSON, which is YAML too. */
export class DocumentSource {
  readonly value: unknown
  readonly problems: DocumentProblem[] = []
  readonly #root: Node | null
  readonly #lines = new LineCounter()

  constructor(text: string) {
    const document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: true })
    this.#root = document.contents
    for (const { message, pos } of document.errors.slice(0, 1)) {
      this.problems.push({ pointer: [], message: message.replace(/\s+/g, ' '), ...this.#place(pos[0]) })
    }
    try {
      this.value = this.problems.length > 0 ? undefined : document.toJS({ maxAliasCount: MOST_ALIASES })
    } catch (error) {
      this.report([], (error as Error).message)
    }
  }

  report(pointer: Pointer, message: string): void {
    this.problems.push({ pointer, message, ...this.#place(this.#offsetOf(pointer)) })
  }

  /** Where the node begins, or the nearest one above it that is there. */
  #offsetOf(pointer: Pointer): number {
    let node = this.#root
    let offset = node?.range?.[0] ?? 0
    for (const part of pointer) {
      let next: Node | null | undefined
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
        if (!pair) return offset
        offset = (pair.key as Node).range?.[0] ?? offset
        next = pair.value as Node | null
      } else if (isSeq(node)) {
        next = node.items[Number(part)] as Node | undefined
        offset = next?.range?.[0] ?? offset
      }
      if (!next) return offset
      node = next
    }
    return offset
  }

  #place(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
}

/** A pointer as RFC 6901 writes it in a fragment. */
export function formatPointer(pointer: Pointer): string {
  return `#${pointer.map((part) => `/${String(part).replace(/~/g, '~0').replace(/\//g, '~1')}`).join('')}`
}

/** Reads a fragment with a JSON Pointer; `undefined` if it is none. */
export function parsePointer(fragment: string): string[] | undefined {
  if (fragment === '#') return []
  if (!fragment.startsWith('#/')) return undefined
  try {
    return fragment
      .slice(2)
      .split('/')
      .map((part) => decodeURIComponent(part).replace(/~1/g, '/').replace(/~0/g, '~'))
  } catch {
    return undefined
  }
}
