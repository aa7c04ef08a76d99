"""An independent client of the proxy: stubs from our proto, grpcio's own TLS.

Usage: client.py HOST:PORT CA_FILE TOKEN_FILE STUBS_DIR; prints one JSON object.
"""
import json
import sys

import grpc

address, ca_file, token_file, stubs = sys.argv[1:5]
sys.path.insert(0, stubs)
# google.rpc lies beside google.protobuf, which is installed elsewhere.
import google  # noqa: E402

google.__path__.append(stubs + "/google")
import llm_proxy_pb2 as pb  # noqa: E402
import llm_proxy_pb2_grpc as rpc  # noqa: E402
from google.rpc import status_pb2  # noqa: E402

with open(ca_file, "rb") as file:
    credentials = grpc.ssl_channel_credentials(root_certificates=file.read())
with open(token_file) as file:
    metadata = [("authorization", "Bearer " + file.read().strip())]


def rich(error):
    """What grpcio-status' rpc_status.from_call does, with the two details that the test looks at."""
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    assert status.message == error.details()
    seen = {"code": status.code}
    for detail in status.details:
        for message, fields in ((status_pb2.ErrorInfo, "reason domain"), (status_pb2.ResourceInfo, "resource_type resource_name")):
            found = message()
            if detail.Unpack(found):
                seen[message.DESCRIPTOR.name] = [getattr(found, field) for field in fields.split()]
    return seen


# The deployed client's options: TLS keepalive pings every 30 seconds, also without calls.
options = [
    ("grpc.keepalive_time_ms", 30000),
    ("grpc.keepalive_timeout_ms", 5000),
    ("grpc.keepalive_permit_without_calls", True),
    ("grpc.http2.max_pings_without_data", 0),
]
seen = {}
with grpc.secure_channel(address, credentials, options=options) as channel:
    stub = rpc.VibectlLLMProxyStub(channel)

    info = stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=metadata, timeout=10)
    seen["info"] = {
        "name": info.server_name,
        "version": info.server_version,
        "default": info.default_model,
        "models": [[m.model_id, m.provider, m.supports_streaming, list(m.aliases)] for m in info.available_models],
        "aliases": dict(info.model_aliases),
    }

    request = pb.ExecuteRequest(
        system_fragments=["Be brief."],
        user_fragments=["What is a pod?", "And a node?"],
        model_name="demo/echo",
        request_id="from-python",
    )
    answer = stub.Execute(request, metadata=metadata, timeout=60)
    seen["unary"] = {
        "request_id": answer.request_id,
        "result": answer.WhichOneof("result"),
        "text": answer.success.response_text,
        "model": answer.success.actual_model_used,
        "total": answer.success.metrics.total_tokens,
        "sum": answer.success.metrics.input_tokens + answer.success.metrics.output_tokens,
        "has_cost": answer.success.metrics.HasField("cost_usd"),
        "timestamp": answer.success.metrics.timestamp,
    }

    for name, model in (("stream", "demo/echo"), ("whole", "demo/whole")):
        request.model_name = model
        chunks = list(stub.StreamExecute(request, metadata=metadata, timeout=60))
        seen[name] = {
            "kinds": [chunk.WhichOneof("chunk_type") for chunk in chunks],
            "ids": sorted({chunk.request_id for chunk in chunks}),
            "text": "".join(chunk.text_chunk for chunk in chunks),
            "model": [c.complete.actual_model_used for c in chunks if c.WhichOneof("chunk_type") == "complete"],
        }

    request.model_name = "demo/eco"
    chunks = []
    try:
        for chunk in stub.StreamExecute(request, metadata=metadata, timeout=60):
            chunks.append(chunk)
    except grpc.RpcError as error:
        seen["unknown_model"] = {
            "status": error.code().name,
            "details": error.details(),
            "rich": rich(error),
            "in_band": [[c.WhichOneof("chunk_type"), c.error.error_code] for c in chunks],
        }

    try:
        stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=10)
    except grpc.RpcError as error:
        seen["no_token"] = {"status": error.code().name, "details": error.details()}

print(json.dumps(seen))
