package ai.switchboard.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Describes tasks and routes without calling a model.
 * </pre>
 */
@io.grpc.stub.annotations.GrpcGenerated
public final class RoutingServiceGrpc {

  private RoutingServiceGrpc() {}

  public static final java.lang.String SERVICE_NAME = "switchboard.v1.RoutingService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<ai.switchboard.v1.ListTasksRequest,
      ai.switchboard.v1.ListTasksResponse> getListTasksMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ListTasks",
      requestType = ai.switchboard.v1.ListTasksRequest.class,
      responseType = ai.switchboard.v1.ListTasksResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.switchboard.v1.ListTasksRequest,
      ai.switchboard.v1.ListTasksResponse> getListTasksMethod() {
    io.grpc.MethodDescriptor<ai.switchboard.v1.ListTasksRequest, ai.switchboard.v1.ListTasksResponse> getListTasksMethod;
    if ((getListTasksMethod = RoutingServiceGrpc.getListTasksMethod) == null) {
      synchronized (RoutingServiceGrpc.class) {
        if ((getListTasksMethod = RoutingServiceGrpc.getListTasksMethod) == null) {
          RoutingServiceGrpc.getListTasksMethod = getListTasksMethod =
              io.grpc.MethodDescriptor.<ai.switchboard.v1.ListTasksRequest, ai.switchboard.v1.ListTasksResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ListTasks"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.switchboard.v1.ListTasksRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.switchboard.v1.ListTasksResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RoutingServiceMethodDescriptorSupplier("ListTasks"))
              .build();
        }
      }
    }
    return getListTasksMethod;
  }

  private static volatile io.grpc.MethodDescriptor<ai.switchboard.v1.ExplainRouteRequest,
      ai.switchboard.v1.ExplainRouteResponse> getExplainRouteMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ExplainRoute",
      requestType = ai.switchboard.v1.ExplainRouteRequest.class,
      responseType = ai.switchboard.v1.ExplainRouteResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<ai.switchboard.v1.ExplainRouteRequest,
      ai.switchboard.v1.ExplainRouteResponse> getExplainRouteMethod() {
    io.grpc.MethodDescriptor<ai.switchboard.v1.ExplainRouteRequest, ai.switchboard.v1.ExplainRouteResponse> getExplainRouteMethod;
    if ((getExplainRouteMethod = RoutingServiceGrpc.getExplainRouteMethod) == null) {
      synchronized (RoutingServiceGrpc.class) {
        if ((getExplainRouteMethod = RoutingServiceGrpc.getExplainRouteMethod) == null) {
          RoutingServiceGrpc.getExplainRouteMethod = getExplainRouteMethod =
              io.grpc.MethodDescriptor.<ai.switchboard.v1.ExplainRouteRequest, ai.switchboard.v1.ExplainRouteResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ExplainRoute"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.switchboard.v1.ExplainRouteRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  ai.switchboard.v1.ExplainRouteResponse.getDefaultInstance()))
              .setSchemaDescriptor(new RoutingServiceMethodDescriptorSupplier("ExplainRoute"))
              .build();
        }
      }
    }
    return getExplainRouteMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static RoutingServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<RoutingServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<RoutingServiceStub>() {
        @java.lang.Override
        public RoutingServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new RoutingServiceStub(channel, callOptions);
        }
      };
    return RoutingServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports all types of calls on the service
   */
  public static RoutingServiceBlockingV2Stub newBlockingV2Stub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<RoutingServiceBlockingV2Stub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<RoutingServiceBlockingV2Stub>() {
        @java.lang.Override
        public RoutingServiceBlockingV2Stub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new RoutingServiceBlockingV2Stub(channel, callOptions);
        }
      };
    return RoutingServiceBlockingV2Stub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static RoutingServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<RoutingServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<RoutingServiceBlockingStub>() {
        @java.lang.Override
        public RoutingServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new RoutingServiceBlockingStub(channel, callOptions);
        }
      };
    return RoutingServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static RoutingServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<RoutingServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<RoutingServiceFutureStub>() {
        @java.lang.Override
        public RoutingServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new RoutingServiceFutureStub(channel, callOptions);
        }
      };
    return RoutingServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Describes tasks and routes without calling a model.
   * </pre>
   */
  public interface AsyncService {

    /**
     * <pre>
     * Lists every task of the configuration.
     * </pre>
     */
    default void listTasks(ai.switchboard.v1.ListTasksRequest request,
        io.grpc.stub.StreamObserver<ai.switchboard.v1.ListTasksResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getListTasksMethod(), responseObserver);
    }

    /**
     * <pre>
     * Describes what a call would do now: which models it would call, in which order, with which limits. Free
     * of charge; calls no model.
     * </pre>
     */
    default void explainRoute(ai.switchboard.v1.ExplainRouteRequest request,
        io.grpc.stub.StreamObserver<ai.switchboard.v1.ExplainRouteResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getExplainRouteMethod(), responseObserver);
    }
  }

  /**
   * Base class for the server implementation of the service RoutingService.
   * <pre>
   * Describes tasks and routes without calling a model.
   * </pre>
   */
  public static abstract class RoutingServiceImplBase
      implements io.grpc.BindableService, AsyncService {

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return RoutingServiceGrpc.bindService(this);
    }
  }

  /**
   * A stub to allow clients to do asynchronous rpc calls to service RoutingService.
   * <pre>
   * Describes tasks and routes without calling a model.
   * </pre>
   */
  public static final class RoutingServiceStub
      extends io.grpc.stub.AbstractAsyncStub<RoutingServiceStub> {
    private RoutingServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected RoutingServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new RoutingServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Lists every task of the configuration.
     * </pre>
     */
    public void listTasks(ai.switchboard.v1.ListTasksRequest request,
        io.grpc.stub.StreamObserver<ai.switchboard.v1.ListTasksResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getListTasksMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Describes what a call would do now: which models it would call, in which order, with which limits. Free
     * of charge; calls no model.
     * </pre>
     */
    public void explainRoute(ai.switchboard.v1.ExplainRouteRequest request,
        io.grpc.stub.StreamObserver<ai.switchboard.v1.ExplainRouteResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getExplainRouteMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * A stub to allow clients to do synchronous rpc calls to service RoutingService.
   * <pre>
   * Describes tasks and routes without calling a model.
   * </pre>
   */
  public static final class RoutingServiceBlockingV2Stub
      extends io.grpc.stub.AbstractBlockingStub<RoutingServiceBlockingV2Stub> {
    private RoutingServiceBlockingV2Stub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected RoutingServiceBlockingV2Stub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new RoutingServiceBlockingV2Stub(channel, callOptions);
    }

    /**
     * <pre>
     * Lists every task of the configuration.
     * </pre>
     */
    public ai.switchboard.v1.ListTasksResponse listTasks(ai.switchboard.v1.ListTasksRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getListTasksMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Describes what a call would do now: which models it would call, in which order, with which limits. Free
     * of charge; calls no model.
     * </pre>
     */
    public ai.switchboard.v1.ExplainRouteResponse explainRoute(ai.switchboard.v1.ExplainRouteRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getExplainRouteMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do limited synchronous rpc calls to service RoutingService.
   * <pre>
   * Describes tasks and routes without calling a model.
   * </pre>
   */
  public static final class RoutingServiceBlockingStub
      extends io.grpc.stub.AbstractBlockingStub<RoutingServiceBlockingStub> {
    private RoutingServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected RoutingServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new RoutingServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Lists every task of the configuration.
     * </pre>
     */
    public ai.switchboard.v1.ListTasksResponse listTasks(ai.switchboard.v1.ListTasksRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getListTasksMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Describes what a call would do now: which models it would call, in which order, with which limits. Free
     * of charge; calls no model.
     * </pre>
     */
    public ai.switchboard.v1.ExplainRouteResponse explainRoute(ai.switchboard.v1.ExplainRouteRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getExplainRouteMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do ListenableFuture-style rpc calls to service RoutingService.
   * <pre>
   * Describes tasks and routes without calling a model.
   * </pre>
   */
  public static final class RoutingServiceFutureStub
      extends io.grpc.stub.AbstractFutureStub<RoutingServiceFutureStub> {
    private RoutingServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected RoutingServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new RoutingServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Lists every task of the configuration.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.switchboard.v1.ListTasksResponse> listTasks(
        ai.switchboard.v1.ListTasksRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getListTasksMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Describes what a call would do now: which models it would call, in which order, with which limits. Free
     * of charge; calls no model.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<ai.switchboard.v1.ExplainRouteResponse> explainRoute(
        ai.switchboard.v1.ExplainRouteRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getExplainRouteMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_LIST_TASKS = 0;
  private static final int METHODID_EXPLAIN_ROUTE = 1;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final AsyncService serviceImpl;
    private final int methodId;

    MethodHandlers(AsyncService serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_LIST_TASKS:
          serviceImpl.listTasks((ai.switchboard.v1.ListTasksRequest) request,
              (io.grpc.stub.StreamObserver<ai.switchboard.v1.ListTasksResponse>) responseObserver);
          break;
        case METHODID_EXPLAIN_ROUTE:
          serviceImpl.explainRoute((ai.switchboard.v1.ExplainRouteRequest) request,
              (io.grpc.stub.StreamObserver<ai.switchboard.v1.ExplainRouteResponse>) responseObserver);
          break;
        default:
          throw new AssertionError();
      }
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public io.grpc.stub.StreamObserver<Req> invoke(
        io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        default:
          throw new AssertionError();
      }
    }
  }

  public static final io.grpc.ServerServiceDefinition bindService(AsyncService service) {
    return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
        .addMethod(
          getListTasksMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              ai.switchboard.v1.ListTasksRequest,
              ai.switchboard.v1.ListTasksResponse>(
                service, METHODID_LIST_TASKS)))
        .addMethod(
          getExplainRouteMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              ai.switchboard.v1.ExplainRouteRequest,
              ai.switchboard.v1.ExplainRouteResponse>(
                service, METHODID_EXPLAIN_ROUTE)))
        .build();
  }

  private static abstract class RoutingServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    RoutingServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return ai.switchboard.v1.Routing.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("RoutingService");
    }
  }

  private static final class RoutingServiceFileDescriptorSupplier
      extends RoutingServiceBaseDescriptorSupplier {
    RoutingServiceFileDescriptorSupplier() {}
  }

  private static final class RoutingServiceMethodDescriptorSupplier
      extends RoutingServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final java.lang.String methodName;

    RoutingServiceMethodDescriptorSupplier(java.lang.String methodName) {
      this.methodName = methodName;
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.MethodDescriptor getMethodDescriptor() {
      return getServiceDescriptor().findMethodByName(methodName);
    }
  }

  private static volatile io.grpc.ServiceDescriptor serviceDescriptor;

  public static io.grpc.ServiceDescriptor getServiceDescriptor() {
    io.grpc.ServiceDescriptor result = serviceDescriptor;
    if (result == null) {
      synchronized (RoutingServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new RoutingServiceFileDescriptorSupplier())
              .addMethod(getListTasksMethod())
              .addMethod(getExplainRouteMethod())
              .build();
        }
      }
    }
    return result;
  }
}
