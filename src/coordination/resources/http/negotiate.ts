import { Refusal } from './status.js'

/** The form in which objects are answered. */
export type Form = 'object' | 'table' | 'metadata'

/** A range of `Accept`. */
interface Range {
  readonly type: string
  readonly parameters: Readonly<Record<string, string>>
  readonly q: number
}

const JSON_TYPES = ['application/json', 'application/*', '*/*']
const FORMS: Readonly<Record<string, Form>> = {
  Table: 'table',
  PartialObjectMetadata: 'metadata',
  PartialObjectMetadataList: 'metadata',
}

/**
 * The form that a client wants objects in: of those it takes, the first that can be given. Everything is JSON; who asks for
 * something binary, and takes JSON too, gets that.
 *
 * @throws 406 if it takes nothing that can be given
 */
export function formOf(accept: string | undefined): Form {
  for (const { type, parameters } of rangesOf(accept)) {
    if (!JSON_TYPES.includes(type)) continue
    const { as, g = 'meta.k8s.io', v = 'v1' } = parameters
    if (as === undefined) return 'object'
    const form = Object.hasOwn(FORMS, as) && g === 'meta.k8s.io' && v === 'v1' ? FORMS[as] : undefined
    if (form) return form
  }
  throw new Refusal(
    406,
    'NotAcceptable',
    'only the following media types are accepted: application/json, application/json;as=Table;v=v1;g=meta.k8s.io, application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  )
}

/** The version of `APIGroupDiscoveryList` that a client likes best; undefined if it wants discovery in its older form. */
export function aggregatedVersionOf(accept: string | undefined): 'v2' | 'v2beta1' | undefined {
  for (const { type, parameters } of rangesOf(accept)) {
    if (!JSON_TYPES.includes(type)) continue
    const { as, g, v } = parameters
    if (as === undefined) return undefined
    if (as === 'APIGroupDiscoveryList' && g === 'apidiscovery.k8s.io' && (v === 'v2' || v === 'v2beta1'))
      return v
  }
  return undefined
}

/** Whether a client wants the document of OpenAPI 2.0 as old ones do, which take it in no other form. */
export function takesSwaggerProtobuf(accept: string | undefined): boolean {
  return rangesOf(accept)[0]?.type.startsWith('application/com.github.proto-openapi.spec.v2@v1.0') ?? false
}

/** What a client takes, what it likes best first. */
function rangesOf(accept: string | undefined): readonly Range[] {
  if (accept === undefined || accept.trim() === '') return [{ type: '*/*', parameters: {}, q: 1 }]
  return accept
    .split(',')
    .map((text): Range => {
      const [type = '', ...rest] = text.split(';').map((part) => part.trim())
      const parameters = Object.fromEntries(rest.map((part) => part.split('=', 2) as [string, string]))
      return { type: type.toLowerCase(), parameters, q: Number(parameters['q'] ?? 1) }
    })
    .filter(({ q }) => q > 0)
    .sort((a, b) => b.q - a.q)
}
