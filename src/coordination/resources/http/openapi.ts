import type { ResourceDefinition } from '../define.js'
import { endpointsOf, type Endpoint, type Operation, type Parameter } from './openapi/endpoints.js'
import { kindSchemas } from './openapi/kind-schemas.js'
import { META_SCHEMAS, reference, SCALE_SCHEMAS } from './openapi/meta-schemas.js'

/** A document of OpenAPI. */
export type OpenApi = Readonly<Record<string, unknown>>

/** What can be answered in. */
const ANSWER_TYPES = ['application/json']

/**
 * Describes the kinds of one version of a group, as `kubectl` wants it: it explains them by it, and looks there for what the
 * server can check by itself.
 *
 * @returns a document of OpenAPI 3.0
 */
export function openApiOf(
  definitions: readonly ResourceDefinition[],
  group: string,
  version: string,
): OpenApi {
  const described = definitions.filter((each) => each.group === group && each.version === version)
  return {
    openapi: '3.0.0',
    info: { title: `${group} ${version}`, version },
    paths: Object.fromEntries(
      described.flatMap(endpointsOf).map((endpoint) => [endpoint.path, pathItem(endpoint)]),
    ),
    components: { schemas: schemasOf(described) },
  }
}

/** The schemas of kinds, and of what they refer to. */
export function schemasOf(definitions: readonly ResourceDefinition[]) {
  return Object.assign(
    {},
    ...definitions.map(kindSchemas),
    META_SCHEMAS,
    definitions.some(({ scale }) => scale) ? SCALE_SCHEMAS : {},
  ) as Record<string, unknown>
}

function pathItem({ parameters, operations }: Endpoint) {
  return {
    parameters: parameters.map(parameterOf),
    ...Object.fromEntries(operations.map((operation) => [operation.method, operationOf(operation)])),
  }
}

function operationOf({ id, description, kind, action, parameters, body, answer, created }: Operation) {
  const content = contentOf(ANSWER_TYPES, answer)
  return {
    tags: [`${kind.group}_${kind.version}`],
    operationId: id,
    description,
    parameters: parameters.map(parameterOf),
    ...(body && { requestBody: { content: contentOf(body.types, body.schema), required: body.required } }),
    responses: {
      200: { description: 'OK', content },
      ...(created && { 201: { description: 'Created', content } }),
    },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': kind,
  }
}

function contentOf(types: readonly string[], schema: string) {
  return Object.fromEntries(types.map((type) => [type, { schema: reference(schema) }]))
}

function parameterOf({ name, in: place, type, description }: Parameter) {
  return { name, in: place, description, schema: { type }, ...(place === 'path' && { required: true }) }
}
