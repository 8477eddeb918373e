import type { IncomingMessage } from 'node:http'
import { redactChange, redact } from '../config/redact.js'
import type { ConfigurationState } from '../configuration.js'
import type { ChangeOutcome, Control, ReplaceOptions } from '../control.js'
import type { NodeSpec } from '../spec.js'
import { json, notAllowed, problem, readBody, type Reply } from './reply.js'

/** Most bytes of a configuration, as of a file. */
const CONFIG_BYTES = 4 * 1024 * 1024

/** What these requests show and move. */
export interface ConfigSubject {
  /** The configuration in force. */
  spec(): NodeSpec
  /** Which one that is. */
  configuration(): ConfigurationState
  /** Who takes changes of it, if anybody does. */
  control(): Control | undefined
}

/**
 * Answers `POST /api/reload`, `GET /api/config` and `PUT /api/config`.
 *
 * A configuration is put as YAML (read as a file is, `${NAME}` from the node's environment) or, with
 * `Content-Type: application/json`, as JSON that is taken as it stands. `?dryRun=true` only tells what would change.
 * `If-Match` with the `ETag` of a `GET` makes sure that nobody else has changed it since. The answer tells the
 * generation in force and every difference; 422 tells every mistake with its line, 412 that another generation is in
 * force, 409 that it cannot be had here and now.
 */
export async function configReply(
  request: IncomingMessage,
  path: '/api/reload' | '/api/config',
  subject: ConfigSubject,
): Promise<Reply> {
  const { method } = request
  if (path === '/api/config' && (method === 'GET' || method === 'HEAD')) return inForce(subject)
  if (path === '/api/config' ? method !== 'PUT' : method !== 'POST')
    return notAllowed(path === '/api/config' ? 'GET, HEAD, PUT' : 'POST')
  const control = subject.control()
  if (!control) return problem(409, 'This node takes no changes: nobody controls it.')
  if (path === '/api/reload') return outcomeReply(await control.reload('admin'), subject)
  const options = optionsOf(request, subject.configuration())
  if ('status' in options) return options
  const text = await readBody(request, CONFIG_BYTES)
  if (text === undefined) return problem(413, 'The configuration is larger than 4 MB.')
  return outcomeReply(await control.replace(text, options), subject)
}

function inForce(subject: ConfigSubject): Reply {
  const { generation, hash, since, by, file } = subject.configuration()
  return {
    ...json(200, { generation, hash, since, by, file, config: redact(subject.spec()) }),
    headers: { ETag: etagOf(subject.configuration()) },
  }
}

/** How a change is asked for, or what is wrong with the request. */
function optionsOf(
  { headers, url = '' }: IncomingMessage,
  inForce: ConfigurationState,
): ReplaceOptions | Reply {
  const query = new URLSearchParams(url.split('?')[1] ?? '')
  const dryRun = query.get('dryRun') ?? 'false'
  const unknown = [...query.keys()].find((name) => name !== 'dryRun')
  if (unknown !== undefined) return problem(400, `Unknown parameter \`${unknown}\`; there is \`dryRun\`.`)
  if (dryRun !== 'true' && dryRun !== 'false') return problem(400, '`dryRun` must be true or false.')
  const type = (headers['content-type'] ?? 'application/yaml').split(';')[0]!.trim().toLowerCase()
  const format = FORMATS.get(type)
  if (!format)
    return problem(415, `\`${type}\` is no configuration: send application/yaml or application/json.`)
  const match = headers['if-match']
  if (match !== undefined && match.trim() !== '*') {
    const tags = match.split(',').map((tag) => tag.trim())
    if (!tags.includes(etagOf(inForce)))
      return problem(412, 'If-Match does not name the configuration in force.')
  }
  // Whatever comes into force while the body arrives is a change in between, too.
  const ifGeneration = match === undefined ? undefined : inForce.generation
  return { format, dryRun: dryRun === 'true', ifGeneration }
}

const FORMATS: ReadonlyMap<string, ReplaceOptions['format']> = new Map([
  ['application/yaml', 'yaml'],
  ['application/x-yaml', 'yaml'],
  ['text/yaml', 'yaml'],
  ['text/plain', 'yaml'],
  ['application/octet-stream', 'yaml'],
  // What curl says if nobody tells it otherwise.
  ['application/x-www-form-urlencoded', 'yaml'],
  ['application/json', 'json'],
])

const STATUSES = { invalid: 422, stale: 412, unavailable: 409 } as const

function outcomeReply(outcome: ChangeOutcome, subject: ConfigSubject): Reply {
  if (outcome.ok) {
    const { generation, hash, changes, warnings } = outcome
    return {
      ...json(200, { generation, hash, changes: changes.map(redactChange), warnings }),
      headers: { ETag: etagOf(subject.configuration()) },
    }
  }
  const { why, problems, generation } = outcome
  const [first] = problems
  const detail =
    problems.length === 1 && first
      ? first.message
      : `The configuration has ${problems.length} mistakes; generation ${generation} stays in force.`
  return problem(STATUSES[why], detail, { problems, generation })
}

function etagOf({ generation, hash }: ConfigurationState): string {
  return `"${generation}-${hash}"`
}
