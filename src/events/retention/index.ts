/**
 * How long events are kept: `retain` removes once what rules do not keep, `retention` does so again and again.
 *
 * A rule is about one stream, a category, or everything, and the most specific one decides. Holds stand above rules. Removed
 * events can be archived before (`transfer/archive.ts`).
 */
export { problemOfRules, RETENTION_RULE, type RetentionRule } from './rules.js'
export { retain, type RetainOptions, type RetentionReport, type RuleReport } from './retain.js'
export { retention, type Retention, type RetentionOptions } from './runner.js'
