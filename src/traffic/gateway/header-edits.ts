/** Edits of header fields. */
export interface HeaderEdits {
  /** Sets a field, replacing what is there. */
  set?: Record<string, string>
  /** Adds a field beside what is there. */
  add?: Record<string, string>
  remove?: string[]
}
