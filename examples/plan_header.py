"""Tells the upstream which plan a tenant is on.

The smallest useful filter: an option, one method, no waiting.
"""

from collections.abc import Mapping
from typing import Annotated

from tidegate import FieldName, Filter, Request, Response, option


class PlanHeader(Filter):
    """Reads the tenant from one field, writes its plan into another."""

    tenant_header: Annotated[str, FieldName()] = option("X-Tenant", "field that names the tenant")
    header: Annotated[str, FieldName()] = option("X-Plan", "field that tells the plan")
    plans: Mapping[str, str] = option({}, "plan by tenant")
    default: str | None = option("free", "plan of everybody else; absent: they get 403")

    def on_request(self, request: Request) -> Response | None:
        """Runs before anything is sent; what it sets replaces what a client may have sent under that name."""
        tenant = request.headers.get(self.tenant_header, "")
        plan = self.plans.get(tenant, self.default)
        if plan is None:
            return Response.problem(403, "This tenant has no plan", tenant=tenant)
        request.headers[self.header] = plan
        request.log["plan"] = plan
        return None
