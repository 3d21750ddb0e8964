"""Terraform providers that know their schema and nothing else: what `terraform validate` asks, and `terraform test`
where every provider is mocked.

Terraform starts providers as programs. Here they run in the process that tests, for the whole of it, and Terraform is
told where (`TF_REATTACH_PROVIDERS`): starting a program for each of a thousand questions would take minutes. It talks
gRPC on loopback, protocol 6 (docs/plugin-protocol/tfplugin6.proto of Terraform). The answer is the schema, every
configuration is good, and nothing can be planned, read or applied. The few messages are written by hand below, so no
compiler of protocol buffers is needed.
"""
import json
import os
from concurrent import futures

import grpc

NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def number(field, value):
    """A number or a truth of a message; zero is not written."""
    return varint(field << 3) + varint(int(value)) if value else b""


def piece(field, value):
    """A string, bytes or a message within a message."""
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def block_message(block):
    out = b""
    for name, one in sorted(block["attributes"].items()):
        flags = [number(4, one.get("required")), number(5, one.get("optional")), number(6, one.get("computed"))]
        out += piece(2, piece(1, name) + piece(2, json.dumps(one["type"])) + b"".join(flags))
    for name, one in sorted(block["block_types"].items()):
        limits = number(4, one.get("min_items", 0)) + number(5, one.get("max_items", 0))
        out += piece(3, piece(1, name) + piece(2, block_message(one["block"])) + number(3, NESTING[one["nesting_mode"]]) + limits)
    return out


def schema_message(block):
    return piece(2, block_message(block))


def answer(schemas):
    """GetProviderSchema.Response."""
    out = piece(1, schema_message(schemas["provider"]))
    for field, kind in ((2, "resources"), (3, "data")):
        for name, block in schemas[kind].items():
            out += piece(field, piece(1, name) + piece(2, schema_message(block)))
    return out


def serve(schemas):
    """Serves a provider until the process ends; its port."""
    schema = answer(schemas)

    def method(reply):
        same = lambda message: message
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: reply, request_deserializer=same, response_serializer=same)

    questions = ("ValidateProviderConfig", "ValidateResourceConfig", "ValidateDataResourceConfig", "StopProvider")
    methods = {"GetProviderSchema": method(schema), **{name: method(b"") for name in questions}}
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.max_send_message_length", 1 << 26)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin6.Provider", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # A server that nothing holds is stopped.
    SERVERS.append(server)
    return port


SERVERS = []


def reattach(ports):
    """What `TF_REATTACH_PROVIDERS` says of the providers of hashicorp that are served: name -> port."""
    return json.dumps({
        f"registry.terraform.io/hashicorp/{name}": {
            "Protocol": "grpc",
            "ProtocolVersion": 6,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
        }
        for name, port in ports.items()
    })
