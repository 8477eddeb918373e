/** A rule that cannot be. */
export class RuleError extends Error {
  /** Where in the rule, from 0; characters. */
  readonly position: number

  constructor(message: string, position: number) {
    super(message)
    this.position = position
  }
}
