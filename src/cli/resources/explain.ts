import { BanyanError } from '../../core/errors.js'
import { suggest } from '../../core/suggest.js'
import { interruptible, type Output } from '../output.js'
import { paint } from '../paint.js'
import { apiVersionOf, ResourceServer, type ServedKind } from './server.js'

/** A schema as OpenAPI has it. */
interface Schema {
  readonly $ref?: string
  readonly allOf?: readonly Schema[]
  readonly type?: string
  readonly format?: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
  readonly 'x-kubernetes-group-version-kind'?: readonly { readonly kind: string }[]
}

/** A document of OpenAPI. */
interface Document {
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

/** How long a node may take to tell its kinds, in ms. */
const PATIENCE_MS = 5000

/** Options of `banyan explain` for kinds. */
export interface ExplainKindOptions {
  admin?: string
  json?: true
}

/** `banyan explain KIND[.FIELD...]`: what may stand there. */
export async function explainKind(text: string, { admin, json }: ExplainKindOptions): Promise<void> {
  await interruptible(async (output, signal) => {
    const server = new ResourceServer(admin)
    const { kind, path } = await placeOf(server, text, signal)
    const document = await server.ask<Document>(`/openapi/v3/apis/${apiVersionOf(kind)}`, { signal })
    const schemas = Object.values(document.components.schemas)
    const whole = schemas.find((each) =>
      each['x-kubernetes-group-version-kind']?.some((one) => one.kind === kind.kind),
    )
    if (!whole) throw new BanyanError('BANYAN_UNKNOWN_KIND', `the node does not describe ${kind.kind}`)
    const found = path.reduce(
      (schema, field, index) => fieldOf(document, schema, kind, path, field, index),
      whole,
    )
    const schema = resolved(document, found)
    if (json) output.json(schema)
    else tell(output, document, kind, path, schema)
  })
}

/** Whether a text begins with a kind that the node has: all else is the id of a request. */
export async function isKind(text: string, admin: string): Promise<boolean> {
  try {
    await placeOf(new ResourceServer(admin), text, AbortSignal.timeout(PATIENCE_MS))
    return true
  } catch (error) {
    if (error instanceof BanyanError && error.code !== 'BANYAN_ADMIN_UNREACHABLE') return false
    throw error
  }
}

/** A kind may have its group behind it, which has points as paths have: the longest that is one counts. */
async function placeOf(
  server: ResourceServer,
  text: string,
  signal: AbortSignal,
): Promise<{ kind: ServedKind; path: readonly string[] }> {
  const parts = text.split('.')
  for (let length = parts.length; length > 1; length--) {
    const kinds = await server.kindsNamed(parts.slice(0, length).join('.'), signal).catch(() => [])
    if (kinds.length === 1) return { kind: kinds[0]!, path: parts.slice(length) }
  }
  const [kind] = await server.kindsNamed(parts[0]!, signal)
  return { kind: kind!, path: parts.slice(1) }
}

function fieldOf(
  document: Document,
  given: Schema,
  kind: ServedKind,
  path: readonly string[],
  field: string,
  index: number,
): Schema {
  const { properties = {}, additionalProperties } = elementsOf(document, given)
  if (Object.hasOwn(properties, field)) return properties[field]!
  if (typeof additionalProperties === 'object') return additionalProperties
  const near = suggest(field, Object.keys(properties))
  const where = [kind.name, ...path.slice(0, index)].join('.')
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  throw new BanyanError('BANYAN_RESOURCE_BAD_REQUEST', `${where} has no field ${field}${hint}`)
}

/** What a path goes on in: of a list its elements. */
function elementsOf(document: Document, given: Schema): Schema {
  const schema = resolved(document, given)
  return schema.items ? elementsOf(document, schema.items) : schema
}

function resolved(document: Document, schema: Schema): Schema {
  const { $ref, allOf, ...own } = schema
  const parts = [
    ...(allOf ?? []),
    ...($ref === undefined ? [] : [document.components.schemas[$ref.split('/').at(-1)!] ?? {}]),
  ]
  if (parts.length === 0) return schema
  return Object.assign({}, ...parts.map((part) => resolved(document, part)), own) as Schema
}

function tell(
  output: Output,
  document: Document,
  kind: ServedKind,
  path: readonly string[],
  schema: Schema,
): void {
  output.add(
    `${paint('bold', [kind.kind, ...path].join('.'))}  ${paint('gray', `${apiVersionOf(kind)}, ${typeOf(document, schema)}`)}`,
  )
  for (const line of factsOf(schema)) output.add(line)
  const { properties = {}, required = [] } = elementsOf(document, schema)
  if (Object.keys(properties).length > 0) output.add('')
  for (const [name, property] of Object.entries(properties)) {
    const field = resolved(document, property)
    const must = required.includes(name) ? paint('yellow', ', required') : ''
    output.add(`  ${paint('bold', name)}  ${paint('gray', typeOf(document, field))}${must}`)
    for (const line of factsOf(field)) output.add(`      ${line}`)
  }
}

function factsOf({ description, default: preset, enum: choices }: Schema): string[] {
  return [
    ...(description ?? '').split('\n').filter((line) => line !== ''),
    ...(choices ? [`one of ${choices.map((each) => JSON.stringify(each)).join(', ')}`] : []),
    ...(preset === undefined ? [] : [`default ${JSON.stringify(preset)}`]),
  ]
}

function typeOf(document: Document, given: Schema): string {
  const schema = resolved(document, given)
  if (schema.items) return `list of ${typeOf(document, schema.items)}`
  if (typeof schema.additionalProperties === 'object')
    return `map of ${typeOf(document, schema.additionalProperties)}`
  return schema.format ?? schema.type ?? 'anything'
}
