"""Calls every method that a server describes, with nothing but what its reflection says of them.

Usage: reflect.py HOST:PORT CA_FILE_OR_DASH TOKEN_FILE STUBS_DIR; prints one JSON object, a method and its messages each.
"""
import json
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

address, ca_file, token_file, stubs = sys.argv[1:5]
sys.path.insert(0, stubs)
from v1 import reflection_pb2, reflection_pb2_grpc  # noqa: E402

with open(token_file) as file:
    metadata = [("authorization", "Bearer " + file.read().strip())]
if ca_file == "-":
    channel = grpc.insecure_channel(address)
else:
    with open(ca_file, "rb") as file:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(root_certificates=file.read()))

reflection = reflection_pb2_grpc.ServerReflectionStub(channel)


def ask(**question):
    questions = iter([reflection_pb2.ServerReflectionRequest(**question)])
    return next(reflection.ServerReflectionInfo(questions, metadata=metadata, timeout=60))


services = [service.name for service in ask(list_services="").list_services_response.service]
files = {}
for service in services:
    for content in ask(file_containing_symbol=service).file_descriptor_response.file_descriptor_proto:
        file = descriptor_pb2.FileDescriptorProto.FromString(content)
        files[file.name] = file

pool = descriptor_pool.DescriptorPool()
added = set()


def add(name):
    """The pool refuses a file whose imports or types it does not have."""
    if name not in added:
        added.add(name)
        for dependency in files[name].dependency:
            add(dependency)
        pool.Add(files[name])


for name in files:
    add(name)


def class_of(descriptor):
    # Since protobuf 4.22 a function, and since 5 only that.
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


seen = {}
for service in services:
    for method in pool.FindServiceByName(service).methods:
        proto = descriptor_pb2.MethodDescriptorProto()
        method.CopyToProto(proto)
        request = class_of(method.input_type)()
        if "user_fragments" in method.input_type.fields_by_name:
            request.user_fragments.append("hello")
        callable = (channel.unary_stream if proto.server_streaming else channel.unary_unary)(
            f"/{service}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=class_of(method.output_type).FromString,
        )
        answer = callable(request, metadata=metadata, timeout=60)
        if not proto.server_streaming:
            messages = [answer]
        elif method.name == "Watch":
            # It ends only with the server.
            messages = [next(answer)]
            answer.cancel()
        else:
            messages = list(answer)
        seen[f"{service}/{method.name}"] = [json_format.MessageToDict(message) for message in messages]

print(json.dumps(seen))
