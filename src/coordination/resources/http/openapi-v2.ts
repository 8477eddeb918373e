import type { ResourceDefinition } from '../define.js'
import { schemasOf, type OpenApi } from './openapi.js'
import { endpointsOf, type Endpoint, type Operation, type Parameter } from './openapi/endpoints.js'
import { swaggerProtobuf } from './openapi/swagger-protobuf.js'
import { swaggerSchema } from './openapi/swagger-schema.js'

/**
 * Describes all kinds for clients of before 2023: `kubectl` up to 1.28 explains, checks and compares by it.
 *
 * @returns a document of OpenAPI 2.0
 */
export function openApiV2Of(definitions: readonly ResourceDefinition[]): OpenApi {
  return {
    swagger: '2.0',
    info: { title: 'Banyan', version: 'v1' },
    paths: Object.fromEntries(
      definitions.flatMap(endpointsOf).map((endpoint) => [endpoint.path, pathItem(endpoint)]),
    ),
    definitions: Object.fromEntries(
      Object.entries(schemasOf(definitions)).map(([name, schema]) => [name, swaggerSchema(schema)]),
    ),
  }
}

/** The same as a message of Protocol Buffers. */
export function openApiV2Protobuf(document: OpenApi): Buffer {
  return swaggerProtobuf(document)
}

function pathItem({ parameters, operations }: Endpoint) {
  return {
    parameters: parameters.map(parameterOf),
    ...Object.fromEntries(operations.map((operation) => [operation.method, operationOf(operation)])),
  }
}

function operationOf({ id, description, kind, action, parameters, body, answer, created }: Operation) {
  const response = { schema: definitionOf(answer) }
  return {
    operationId: id,
    description,
    ...(body && { consumes: body.types }),
    produces: ['application/json'],
    parameters: [
      ...(body
        ? [{ name: 'body', in: 'body', required: body.required, schema: definitionOf(body.schema) }]
        : []),
      ...parameters.map(parameterOf),
    ],
    responses: {
      200: { description: 'OK', ...response },
      ...(created && { 201: { description: 'Created', ...response } }),
    },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': kind,
  }
}

function definitionOf(name: string) {
  return { $ref: `#/definitions/${name}` }
}

function parameterOf({ name, in: place, type, description }: Parameter) {
  return { name, in: place, description, type, ...(place === 'path' && { required: true }) }
}
